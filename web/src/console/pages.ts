// Every page of the console, in the order of the navigation: those whose service can be reached from
// here. A page is listed when its service exists.
import { brokerPage } from '../pages/broker/broker_page.tsx';
import { prekeysPage } from '../pages/prekeys/prekeys_page.tsx';
import type { PageDefinition } from './page.ts';
import { homeOf, placeOf } from './places.ts';

const here = new URL(document.baseURI);
const home = homeOf(here) === 'broker' ? brokerPage : prekeysPage;

export const pages: readonly PageDefinition[] = [prekeysPage, brokerPage].filter(
    (page) => page === home || placeOf(page.id, here) !== null,
);

// What is shown when the address names no page.
export const homePage: PageDefinition = home;
