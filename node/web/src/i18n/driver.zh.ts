const zh = {
  'driver.title': '今日配送',
  'driver.none': '没有待送的货单',
  'driver.stop': '第 {n} 站',
  'driver.late': '已超时',
  'driver.map': '地图',
} as const;

export default zh;
