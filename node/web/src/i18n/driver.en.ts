import type zh from './driver.zh';

const en: { [key in keyof typeof zh]: string } = {
  'driver.title': 'Today’s stops',
};

export default en;
