const zh = {
  'picker.title': '待拣货单',
} as const;

export default zh;
