import type zh from './boss.zh';

const en: { [key in keyof typeof zh]: string } = {
  'boss.title': 'Figures',
  'boss.period': 'Period',
  'boss.days': 'Last {n} days',
  'boss.turnover': 'Opened to signed (median)',
  'boss.shipments': '{n} {n:shipment|shipments}',
  'boss.on_time': 'On time',
  'boss.late': 'Not on time',
  'boss.open_now': 'Open now',
  'boss.see': 'See which',
  'boss.none': 'None in this period',
  'boss.by_shop': 'Signed, by shop',
  'boss.by_driver': 'Signed, by driver',
  'boss.by_run': 'Signed, by run',
  'boss.month': 'Month end',
  'boss.which_month': 'Month',
  'boss.xlsx': 'Download sheet (Excel, WPS)',
  'boss.csv': 'Download CSV',
  'boss.backlog': 'Open at the end of each day',
  'boss.delivered': 'Delivered on each day',
  'boss.delivered_n': 'Delivered',
  'boss.days_title': 'Day by day',
  'boss.table': 'The numbers as a table',
  'boss.chart': 'Chart: {title}, {days} days, at most {most}. The table below has the numbers.',
  'boss.day': 'Day',
  'boss.open': 'Open',
  'boss.more': 'Show more',
};

export default en;
