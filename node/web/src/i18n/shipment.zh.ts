const zh = {
  'shipment.title': '货单',
} as const;

export default zh;
