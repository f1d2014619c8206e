import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type ProxyOptions } from 'vite';

// The node answers only to its own address and to who shows its token, so the development server speaks to it as its own device would.
const node = process.env.CREEL_HTTP ?? '127.0.0.1:7780';
const toNode: ProxyOptions = {
  target: `http://${node}`,
  changeOrigin: true,
  headers: { authorization: `Bearer ${process.env.CREEL_TOKEN ?? ''}`, origin: `http://${node}` },
  // Otherwise the head of the event stream would wait here for the first event, and the app would think it has no connection.
  configure: (proxy) => proxy.on('proxyRes', (_, __, response) => setImmediate(() => response.headersSent || response.flushHeaders())),
};
const proxy = { '/api': toNode, '/t/': toNode };

// The same policy as the node's (node/src/http/assets.rs), so that `npm run preview` shows what it would forbid.
const policy =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:";

export default defineConfig(({ command }) => ({
  // Relative, because a node may stand behind a path of a firm's own web server.
  base: './',
  plugins: [
    svelte({
      compilerOptions: {
        // By content, not by file path: the built files must be the same wherever the repository lies.
        ...(command === 'build' && { cssHash: ({ hash, css }) => `c${hash(css)}` }),
      },
    }),
  ],
  server: { proxy },
  preview: { proxy, headers: { 'content-security-policy': policy } },
  build: {
    target: 'es2022',
    sourcemap: false,
    modulePreload: { polyfill: false },
    // A file inlined as data: would be refused by the policy, unless it is a picture.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
}));
