import type zh from './shop.zh';

const en: { [key in keyof typeof zh]: string } = {
  'shop.title': 'On the way to you',
};

export default en;
