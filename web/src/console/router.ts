// Which page is shown: "#/prekeys" names one. Any other fragment is a place within the page and
// changes nothing.
import { createStore } from './store.ts';
import type { PageDefinition } from './page.ts';
import { homePage, pages } from './pages.ts';

export function pageOfHash(hash: string, known: readonly PageDefinition[]): PageDefinition | null {
    if (!hash.startsWith('#/')) {
        return null;
    }
    return known.find((page) => page.id === hash.slice(2)) ?? null;
}

export const currentPage = createStore<PageDefinition>(
    pageOfHash(location.hash, pages) ?? homePage,
);

export function startRouter(): void {
    addEventListener('hashchange', () => {
        const page = pageOfHash(location.hash, pages);
        if (page !== null) {
            currentPage.set(page);
        }
    });
}
