const zh = {
  'driver.title': '今日配送',
  'driver.none': '没有待送的货单',
  'driver.all_done': '今天的都送完了',
  'driver.counts': '待送 {open} · 已完成 {done}',
  'driver.stop': '第 {n} 站',
  'driver.late_by': '已超时 {long}',
  'driver.due': '应收 {amount}',
  'driver.map': '地图',
  'driver.messages': '留言（{n}）',
  'driver.details': '详情',
  'driver.take_back': '撤回',
  'driver.no_run': '未排车次',
  'driver.later': '以后的货单（{n}）',
  'driver.done': '今日已完成（{n}）',
} as const;

export default zh;
