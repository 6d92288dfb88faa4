// Makes Redoc fit a page that talks to nobody but its own server and allows no inline style:
// - its attribution loads a picture from a CDN; the text link stays, the picture goes;
// - its style loader adds a <style> element without the page's nonce; it is given that nonce.
// Both are exact replacements in the published bundle, so an upgrade that changes either text fails
// the build instead of quietly bringing the request or the violation back.
import type { Plugin } from 'vite';

const bundle = /[\\/]redoc[\\/]bundles[\\/]redoc\.browser\.lib\.js$/;

const replacements: ReadonlyArray<{ from: string; to: string }> = [
    { from: '"https://cdn.redoc.ly/redoc/logo-mini.svg"', to: '"data:,"' },
    {
        from: 'var t=r.nc;t&&e.setAttribute',
        to: 'var t=document.querySelector(\'meta[name="sc-nonce"]\')?.content;t&&e.setAttribute',
    },
];

export function redocOffline(): Plugin {
    return {
        name: 'nave:redoc-offline',
        transform(code, id) {
            if (!bundle.test(id)) {
                return null;
            }
            let patched = code;
            for (const { from, to } of replacements) {
                if (patched.split(from).length !== 2) {
                    this.error(`redoc: expected exactly one occurrence of ${from}`);
                }
                patched = patched.replace(from, () => to);
            }
            return { code: patched, map: null };
        },
    };
}
