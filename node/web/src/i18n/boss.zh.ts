const zh = {
  'boss.title': '经营数据',
  'boss.period': '时段',
  'boss.days': '最近 {n} 天',
  'boss.turnover': '建单到签收（中位数）',
  'boss.shipments': '{n} 单',
  'boss.on_time': '准时率',
  'boss.late': '未准时：{n} 单',
  'boss.by_shop': '各门店签收率',
  'boss.by_driver': '各司机签收率',
  'boss.by_run': '各线路签收率',
  'boss.month': '月结',
  'boss.which_month': '月份',
  'boss.xlsx': '下载表格（Excel、WPS）',
  'boss.csv': '下载 CSV',
  'boss.backlog': '每日未完成',
  'boss.day': '日期',
  'boss.open': '未完成',
  'boss.more': '显示更多',
} as const;

export default zh;
