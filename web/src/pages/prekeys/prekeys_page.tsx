// The prekeys observer as a page of the console: where its API lies, and its sections in the order an
// operator needs them.
import {
    type ObserverPage,
    loadState,
    openObserver,
} from '../../console/observer_page.tsx';
import type { PageDefinition } from '../../console/page.ts';
import { placeOf } from '../../console/places.ts';
import { type ObserverState, parseState } from './api.ts';
import { PrekeysEvents } from './events_section.tsx';
import { FirstSteps } from './first_steps.tsx';
import { PrekeysHealth } from './health_section.tsx';
import { type Model, withEvents, withState } from './model.ts';
import { RefusalsSection } from './refusals_section.tsx';
import { StockSection } from './stock_section.tsx';
import { TrafficSection } from './traffic_section.tsx';
import { UpkeepSection } from './upkeep_section.tsx';

const here = new URL(document.baseURI);
const service = placeOf('prekeys', here) ?? here;

const page: ObserverPage<ObserverState, Model> = {
    title: 'Prekeys',
    api: new URL('shade-observer/api/', service),
    parseState,
    withState,
    withEvents,
    Content,
};

function Content({ model }: { model: Model }) {
    const isNew = model.state.totals.identities === 0 && model.state.counters.registered === 0;
    return (
        <div class="page">
            <PrekeysHealth model={model} />
            {isNew && <FirstSteps service={service} />}
            <TrafficSection model={model} />
            <StockSection model={model} />
            <RefusalsSection model={model} />
            <UpkeepSection model={model} />
            <PrekeysEvents model={model} />
        </div>
    );
}

export const prekeysPage: PageDefinition = {
    id: 'prekeys',
    title: 'Prekeys',
    subject: 'the prekeys observer',
    tokenSetting: 'SHADE_OBSERVER_TOKEN',
    checkToken: async (token) => {
        await loadState(page.api, parseState, token, new AbortController().signal);
    },
    open: (token, events) => openObserver(page, token, events),
};
