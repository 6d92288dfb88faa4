// The broker's observer as a page of the console: where its API lies, and its sections in the order an
// operator needs them.
import { useNow } from '../../console/clock.ts';
import { type ObserverPage, loadState, openObserver } from '../../console/observer_page.tsx';
import type { PageDefinition } from '../../console/page.ts';
import { placeOf } from '../../console/places.ts';
import { HealthSection } from '../../ui/health.tsx';
import { alertsOf } from './alerts.ts';
import { type BrokerState, parseState } from './api.ts';
import { BrokerEvents } from './events_section.tsx';
import { FirstSteps } from './first_steps.tsx';
import { MeshesSection } from './meshes_section.tsx';
import { type Model, serverTime, withEvents, withState } from './model.ts';
import { NowSection } from './now_section.tsx';
import { PeersSection } from './peers_section.tsx';
import { RefusalsSection } from './refusals_section.tsx';
import { TrafficSection } from './traffic_section.tsx';

const here = new URL(document.baseURI);
const service = placeOf('broker', here) ?? here;

const page: ObserverPage<BrokerState, Model> = {
    title: 'Broker',
    api: new URL('observer/v1/', service),
    parseState,
    withState,
    withEvents,
    routineEvents: ['tick'],
    Content,
};

const places = ['Traffic', 'Meshes', 'Peers', 'Refusals', 'Events'];

function Content({ model }: { model: Model }) {
    const { state } = model;
    const now = serverTime(model, useNow());
    return (
        <div class="page">
            <HealthSection
                title="Broker"
                alerts={alertsOf(model, now)}
                server={{ ...state, storage: state.figures.storage }}
                places={places}
                now={now}
            />
            {state.figures.meshes === 0 && <FirstSteps service={service} />}
            <NowSection model={model} />
            <TrafficSection model={model} />
            <MeshesSection model={model} />
            <PeersSection model={model} />
            <RefusalsSection model={model} />
            <BrokerEvents model={model} />
        </div>
    );
}

export const brokerPage: PageDefinition = {
    id: 'broker',
    title: 'Broker',
    subject: "the broker's observer",
    tokenSetting: 'BROKER_OBSERVER_TOKEN',
    checkToken: async (token) => {
        await loadState(page.api, parseState, token, new AbortController().signal);
    },
    open: (token, events) => openObserver(page, token, events),
};
