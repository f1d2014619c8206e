// Links that open the device's own map app: geo: where the system knows it, else the web address that the system hands to its app.

function coordinates(place: string): [string, string] | null {
  const [latitude, longitude] = place.split(',').map((part) => part.trim());
  return latitude && longitude && Number.isFinite(Number(latitude)) && Number.isFinite(Number(longitude)) ? [latitude, longitude] : null;
}

/** For a place (`LAT,LON` in decimal degrees) or, where there is none, an address. Empty where there is neither. */
export function mapLink(place: string, name: string, address = ''): string {
  const found = coordinates(place);
  if (!found && !address) return '';
  const at = found?.join(',') ?? '';
  const words = encodeURIComponent(address);
  const system = navigator.userAgent;
  if (/Android|HarmonyOS/i.test(system)) {
    return found ? `geo:${at}?q=${encodeURIComponent(`${at}(${name})`)}` : `geo:0,0?q=${words}`;
  }
  if (/iPhone|iPad|Macintosh/i.test(system)) {
    return found ? `https://maps.apple.com/?ll=${at}&q=${encodeURIComponent(name || at)}` : `https://maps.apple.com/?q=${words}`;
  }
  return found
    ? `https://www.openstreetmap.org/?mlat=${found[0]}&mlon=${found[1]}#map=17/${found.join('/')}`
    : `https://www.openstreetmap.org/search?query=${words}`;
}
