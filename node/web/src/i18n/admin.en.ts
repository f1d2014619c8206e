import type zh from './admin.zh';

const en: { [key in keyof typeof zh]: string } = {
  'admin.title': 'Settings',
};

export default en;
