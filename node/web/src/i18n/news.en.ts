import type zh from './news.zh';

const en: { [key in keyof typeof zh]: string } = {
  'news.count': '{n} new',
  'news.title': 'News',
  'news.more': '{n} more with news',
  'news.messages': '{n} new {n:message|messages}',
  'news.many': '{n} shipments have news',
  'news.between': ' · ',
  'news.assigned': 'New stop for you',
  'news.changed': 'Changed: {what}',
  'news.arriving': 'Out for delivery to you',
  'news.new': 'New',
  'news.got_it': 'Got it',
  'news.tell': 'Tell me of news',
  'news.on': 'On. While this page is out of sight, the system tells you.',
  'news.off': 'Off.',
  'news.refused': 'The browser refuses. Allow notifications for this page in the browser’s site settings.',
  'news.unable': 'This browser can’t show notifications for this page.',
};

export default en;
