const zh = {
  'admin.title': '设置',
} as const;

export default zh;
