// The API reference: Redoc over openapi.yaml, which the service serves beside this page. The address
// of the page has no trailing slash, so "openapi.yaml" resolves to its sibling under any prefix.
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { RedocStandalone } from 'redoc';

const systemFont = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const systemMono = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace';

const options = {
    // The search index needs a worker from a blob: URL, which the page's policy does not allow; the
    // reference is short enough for the side menu and the browser's own search.
    disableSearch: true,
    nativeScrollbars: true,
    hideDownloadButton: false,
    expandResponses: '200,201',
    jsonSampleExpandLevel: 3,
    sortPropsAlphabetically: false,
    requiredPropsFirst: true,
    theme: {
        colors: {
            primary: { main: '#0f5f6b' },
            text: { primary: '#1b262c', secondary: '#53636c' },
        },
        typography: {
            fontSize: '15px',
            fontFamily: systemFont,
            headings: { fontFamily: systemFont, fontWeight: '600' },
            code: { fontFamily: systemMono, fontSize: '13px', color: '#8a3b12', wrap: true },
            links: { color: '#0f5f6b', visited: '#0f5f6b', hover: '#0a444d' },
        },
        sidebar: { backgroundColor: '#f4f7f7', textColor: '#1b262c', width: '280px' },
        rightPanel: { backgroundColor: '#14222a' },
    },
};

const host = document.getElementById('reference');
if (host) {
    createRoot(host).render(createElement(RedocStandalone, { specUrl: 'openapi.yaml', options }));
}
