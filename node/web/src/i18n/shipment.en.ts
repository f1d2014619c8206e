import type zh from './shipment.zh';

const en: { [key in keyof typeof zh]: string } = {
  'shipment.title': 'Shipment',
};

export default en;
