// Every page of the console, in the order of the navigation. A page is listed when its service exists.
import { prekeysPage } from '../pages/prekeys/prekeys_page.tsx';
import type { PageDefinition } from './page.ts';

export const pages: readonly [PageDefinition, ...PageDefinition[]] = [prekeysPage];
