// The prekeys observer as a page of the console: where its API lies, how it is followed, and its
// sections in the order an operator needs them.
import { announce } from '../../console/announcer.tsx';
import type { OpenPage, PageDefinition, PageEvents } from '../../console/page.ts';
import { type Store, createStore, useStore } from '../../console/store.ts';
import { readEventStream } from '../../live/event_stream.ts';
import { RequestFailure, request, withDeadline } from '../../live/http.ts';
import { type ConnectionStatus, LiveSession } from '../../live/live_session.ts';
import { type ObserverState, UnexpectedAnswer, parseState } from './api.ts';
import { EventsSection } from './events_section.tsx';
import { FirstSteps } from './first_steps.tsx';
import { HealthSection } from './health_section.tsx';
import { type Model, withEvents, withState } from './model.ts';
import { RefusalsSection } from './refusals_section.tsx';
import { StockSection } from './stock_section.tsx';
import { TrafficSection } from './traffic_section.tsx';
import { UpkeepSection } from './upkeep_section.tsx';

// The page lies at .../shade-observer/dashboard/, its API at .../shade-observer/api/, under any prefix.
const api = new URL('../api/', document.baseURI);

function loadState(token: string, signal: AbortSignal): Promise<ObserverState> {
    return withDeadline(signal, async (timely) => {
        const accept = { accept: 'application/json' };
        const response = await request(new URL('state', api), token, accept, timely);
        try {
            return parseState(await response.json());
        } catch (error) {
            if (timely.aborted) {
                throw error;
            }
            throw new RequestFailure(
                'refused',
                error instanceof UnexpectedAnswer
                    ? error.message
                    : "The server's answer is not JSON.",
            );
        }
    });
}

function open(token: string, events: PageEvents): OpenPage {
    const model = createStore<Model | null>(null);
    const status = createStore<ConnectionStatus>({
        phase: 'connecting',
        lastContactAt: null,
        stateAt: null,
        nextAttemptAt: null,
        trouble: null,
    });
    const session = new LiveSession<ObserverState>({
        loadState: (signal) => loadState(token, signal),
        followEvents: (lastEventId, handlers, signal) =>
            readEventStream(new URL('events', api), token, lastEventId, handlers, signal),
        onState: (state, { restarted }) => {
            model.set(withState(model.get(), state, Date.now(), restarted));
            if (restarted) {
                announce('The server was restarted.');
            }
        },
        onEvents: (batch) => {
            const current = model.get();
            if (current === null) {
                return;
            }
            const outcome = withEvents(current, batch);
            model.set(outcome.model);
            if (outcome.needsReload || outcome.wantsRefresh) {
                session.refreshSoon(outcome.needsReload ? 0 : 1000);
            }
        },
        onStatus: (next) => status.set(next),
        onUnauthorized: events.onUnauthorized,
    });
    const wake = () => {
        if (document.visibilityState === 'visible') {
            session.retryNow();
            session.refreshSoon();
        }
    };
    document.addEventListener('visibilitychange', wake);
    addEventListener('online', wake);
    session.start();
    return {
        status,
        Content: () => <Content model={model} status={status} />,
        retryNow: () => session.retryNow(),
        close: () => {
            document.removeEventListener('visibilitychange', wake);
            removeEventListener('online', wake);
            session.stop();
        },
    };
}

function Content(props: { model: Store<Model | null>; status: Store<ConnectionStatus> }) {
    const model = useStore(props.model);
    const status = useStore(props.status);
    if (model === null) {
        return <Opening status={status} />;
    }
    const isNew = model.state.totals.identities === 0 && model.state.counters.registered === 0;
    return (
        <div class="page">
            <HealthSection model={model} />
            {isNew && <FirstSteps />}
            <TrafficSection model={model} />
            <StockSection model={model} />
            <RefusalsSection model={model} />
            <UpkeepSection model={model} />
            <EventsSection model={model} />
        </div>
    );
}

function Opening({ status }: { status: ConnectionStatus }) {
    return (
        <div class="page page-opening" role="status">
            <h1 class="visually-hidden">Prekeys</h1>
            <p>{status.trouble === null ? 'Loading the state…' : status.trouble.message}</p>
            {status.trouble !== null && <p class="soft">The console keeps trying.</p>}
        </div>
    );
}

export const prekeysPage: PageDefinition = {
    id: 'prekeys',
    title: 'Prekeys',
    subject: 'the prekeys observer',
    tokenSetting: 'SHADE_OBSERVER_TOKEN',
    checkToken: async (token) => {
        await loadState(token, new AbortController().signal);
    },
    open,
};
