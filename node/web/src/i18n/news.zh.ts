const zh = {
  'news.count': '{n} 条新消息',
  'news.title': '新消息',
  'news.more': '还有 {n} 单有新消息',
  'news.messages': '{n} 条新留言',
  'news.many': '{n} 个货单有新消息',
  'news.between': ' · ',
  'news.assigned': '新派给您',
  'news.changed': '有变动：{what}',
  'news.arriving': '派送中，即将送到',
  'news.new': '新',
  'news.got_it': '知道了',
  'news.tell': '有新消息时提醒我',
  'news.on': '已开启。页面不在眼前时，由系统提醒。',
  'news.off': '已关闭。',
  'news.refused': '浏览器已拒绝提醒。请在浏览器的网站设置里允许本页面发送通知。',
  'news.unable': '此浏览器无法为本页面显示通知。',
} as const;

export default zh;
