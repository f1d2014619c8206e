// The ground of the map: land, and the names of towns. Both are files of this app (base/make.mjs tells where they are from), so that nothing
// is asked of a network; there are no roads and no borders in them.

import type { GeoJSONSource, LayerSpecification, Map as Chart, SourceSpecification } from 'maplibre-gl';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import landFile from '../../../base/land.json?url';
import townsFile from '../../../base/towns.tsv?url';

/** How many of the most populous towns are named at a zoom. */
const NAMED = [30, 3, 120, 4, 500, 5, 2_000, 6, 6_000, 7, 15_000, 8, 40_000, 9, 1_000_000];

export const sources: Record<string, SourceSpecification> = {
  land: { type: 'geojson', data: { type: 'FeatureCollection', features: [] }, attribution: 'Natural Earth' },
  towns: { type: 'geojson', data: { type: 'FeatureCollection', features: [] }, attribution: 'GeoNames (CC BY 4.0)' },
};

export const layers: LayerSpecification[] = [
  { id: 'land', type: 'fill', source: 'land' },
  { id: 'coast', type: 'line', source: 'land', paint: { 'line-width': 1 } },
];

export const names: LayerSpecification[] = [
  {
    id: 'towns',
    type: 'symbol',
    source: 'towns',
    filter: ['<', ['get', 'rank'], ['step', ['zoom'], ...NAMED]] as never,
    layout: {
      'text-size': 14,
      'text-padding': 10,
      'symbol-sort-key': ['get', 'rank'],
    },
    paint: { 'text-halo-width': 1.5 },
  },
];

/** The page's own colours and fonts, by day and night, and names in its language. */
export function paint(map: Chart, zh: boolean) {
  const look = getComputedStyle(document.documentElement);
  const value = (name: string) => look.getPropertyValue(name).trim();
  map.setPaintProperty('land', 'fill-color', value('--surface'));
  map.setPaintProperty('coast', 'line-color', value('--line-strong'));
  map.setPaintProperty('graticule', 'line-color', value('--line-strong'));
  map.setPaintProperty('towns', 'text-color', value('--ink'));
  map.setPaintProperty('towns', 'text-halo-color', value('--surface'));
  map.setLayoutProperty('towns', 'text-font', value('--font').split(',').map((font) => font.trim().replaceAll(/['"]/g, '')));
  map.setLayoutProperty('towns', 'text-field', ['get', zh ? 'zh' : 'name']);
}

/** Puts land and towns onto the map once they are there. */
export async function lay(map: Chart, isGone: () => boolean) {
  const [land, towns] = await Promise.all([landFile, townsFile].map(text));
  if (isGone()) return;
  const world = JSON.parse(land!) as Topology<{ land: GeometryCollection }>;
  const put = (id: string, data: GeoJSON.GeoJSON) => map.getSource<GeoJSONSource>(id)?.setData(data);
  const features = towns!.trimEnd().split('\n').map((line, rank): GeoJSON.Feature => {
    const [longitude, latitude, name, zh] = line.split('\t');
    return { type: 'Feature', properties: { rank, name, zh: zh || name }, geometry: { type: 'Point', coordinates: [Number(longitude), Number(latitude)] } };
  });
  await Promise.all([put('land', feature(world, world.objects.land)), put('towns', { type: 'FeatureCollection', features })]);
}

async function text(file: string): Promise<string> {
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file}: ${answer.status}`);
  return answer.text();
}
