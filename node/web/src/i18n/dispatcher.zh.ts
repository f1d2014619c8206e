const zh = {
  'dispatcher.title': '在途看板',
} as const;

export default zh;
