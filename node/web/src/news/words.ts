// News in plain words, for badges and for the system's notices.

import { t } from '../i18n/index.svelte';
import type { News } from './news.svelte';
import type { Topic } from './topics';

export function topicWords(topic: Topic, item: News): string {
  if (topic === 'assigned' || topic === 'arriving') return t(`news.${topic}`);
  if (topic === 'changed') return t('news.changed', { what: item.fields.map((field) => t(`shipment.field_${field}`)).join(t('shipment.and')) });
  return t(`dispatcher.kind_${topic}`);
}

export function newsWords(item: News): string {
  const words = item.topics.map((topic) => topicWords(topic, item));
  if (item.messages > 0) words.push(t('news.messages', { n: item.messages }));
  return words.join(t('news.between'));
}
