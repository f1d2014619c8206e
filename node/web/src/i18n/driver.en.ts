import type zh from './driver.zh';

const en: { [key in keyof typeof zh]: string } = {
  'driver.title': 'Today’s stops',
  'driver.none': 'Nothing to deliver',
  'driver.stop': 'Stop {n}',
  'driver.late': 'late',
  'driver.map': 'Map',
};

export default en;
