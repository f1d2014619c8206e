import type zh from './dispatcher.zh';

const en: { [key in keyof typeof zh]: string } = {
  'dispatcher.title': 'Open shipments',
};

export default en;
