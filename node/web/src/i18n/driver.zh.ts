const zh = {
  'driver.title': '今日配送',
} as const;

export default zh;
