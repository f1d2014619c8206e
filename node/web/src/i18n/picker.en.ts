import type zh from './picker.zh';

const en: { [key in keyof typeof zh]: string } = {
  'picker.title': 'To be picked',
};

export default en;
