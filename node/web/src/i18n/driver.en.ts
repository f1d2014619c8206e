import type zh from './driver.zh';

const en: { [key in keyof typeof zh]: string } = {
  'driver.title': 'Today’s stops',
  'driver.none': 'Nothing to deliver',
  'driver.all_done': 'All of today’s stops are done',
  'driver.counts': '{open} to go · {done} done',
  'driver.stop': 'Stop {n}',
  'driver.late_by': 'late by {long}',
  'driver.due': '{amount} to collect',
  'driver.map': 'Map',
  'driver.messages': '{n} {n:message|messages}',
  'driver.details': 'Details',
  'driver.take_back': 'Take back',
  'driver.no_run': 'No run',
  'driver.later': 'Later ({n})',
  'driver.done': 'Done today ({n})',
};

export default en;
