// Reads codes in pictures. Loaded only when the camera is opened: the reader is about a megabyte of WebAssembly, served by the node itself.

import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader';
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url';

prepareZXingModule({
  overrides: { locateFile: (path: string, prefix: string) => (path.endsWith('.wasm') ? wasm : prefix + path) },
});

/** The text of the first code in a picture, or null. */
export async function read(picture: ImageData | Blob): Promise<string | null> {
  const found = await readBarcodes(picture, {
    formats: ['QRCode', 'DataMatrix', 'Code128', 'EAN13'],
    tryHarder: true,
    maxNumberOfSymbols: 1,
  });
  return found.find((code) => code.isValid)?.text ?? null;
}
