const zh = {
  'shop.title': '即将到货',
} as const;

export default zh;
