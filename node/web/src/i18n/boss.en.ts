import type zh from './boss.zh';

const en: { [key in keyof typeof zh]: string } = {
  'boss.title': 'Figures',
};

export default en;
