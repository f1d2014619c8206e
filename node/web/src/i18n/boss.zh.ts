const zh = {
  'boss.title': '经营数据',
} as const;

export default zh;
