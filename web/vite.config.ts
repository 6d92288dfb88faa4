// Two builds, one per page: the operator console (dist/dashboard) and the API reference (dist/docs).
// Both are served under a prefix unknown at build time, so every URL in the output is relative. The
// console is a directory and uses ./assets/; the reference lives at .../docs without a slash, so its
// HTML refers to docs/assets/.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { defineConfig, type BuildEnvironmentOptions, type UserConfig } from 'vite';
import { redocOffline } from './vite/redoc_offline.ts';

const root = import.meta.dirname;
// CMake passes a directory of the build tree, so that several build trees do not share one output.
const outDir = resolve(process.env['NAVE_WEB_OUT_DIR'] ?? resolve(root, 'dist'));

const shared: UserConfig = {
    publicDir: false,
    base: './',
    // Redoc and its libraries ask which environment they run in; nothing else is replaced.
    define: { 'process.env.NODE_ENV': JSON.stringify('production') },
};

// Redoc imports yaml without declaring it; npm nests the version it means under swagger2openapi.
const requireAsRedoc = createRequire(
    createRequire(import.meta.url).resolve('swagger2openapi/package.json'),
);

function output(directory: string): BuildEnvironmentOptions {
    return {
        outDir: resolve(outDir, directory),
        emptyOutDir: true,
        target: 'es2022',
        // Browsers that know light-dark(); older targets would have it rewritten into something longer.
        cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
        modulePreload: false,
        // A data: URL would need a wider Content-Security-Policy than 'self'.
        assetsInlineLimit: 0,
        reportCompressedSize: false,
        // What is bundled is distributed with the binary, and so are its licences.
        license: { fileName: 'assets/licenses.txt' },
        chunkSizeWarningLimit: 1500,
    };
}

const pages: Record<string, UserConfig> = {
    dashboard: {
        ...shared,
        root: resolve(root, 'dashboard'),
        publicDir: resolve(root, 'dashboard/public'),
        build: output('dashboard'),
    },
    docs: {
        ...shared,
        root: resolve(root, 'docs'),
        plugins: [redocOffline()],
        resolve: { alias: { yaml: requireAsRedoc.resolve('yaml') } },
        build: output('docs'),
        experimental: {
            renderBuiltUrl: (filename, { hostType }) =>
                hostType === 'html' ? `docs/${filename}` : { relative: true },
        },
    },
};

export default defineConfig(({ mode }) => pages[mode] ?? {});
