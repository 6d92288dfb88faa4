// Follows the observer of one service: its state, its events, and what the page makes of them.
import type { ComponentType } from 'preact';
import { readEventStream } from '../live/event_stream.ts';
import { RequestFailure, request, withDeadline } from '../live/http.ts';
import { type ConnectionStatus, LiveSession, type ServerState } from '../live/live_session.ts';
import type { SseEvent } from '../live/sse_parser.ts';
import { UnexpectedAnswer } from '../live/wire.ts';
import { announce } from './announcer.tsx';
import type { OpenPage, PageEvents } from './page.ts';
import { type Store, createStore, useStore } from './store.ts';

export interface EventsOutcome<M> {
    readonly model: M;
    // The server dropped events this page never saw: its state must be loaded again.
    readonly needsReload: boolean;
    // Something changed that events alone do not carry.
    readonly wantsRefresh: boolean;
}

export interface ObserverPage<S extends ServerState, M> {
    readonly title: string;
    // Where "state" and "events" lie.
    readonly api: URL;
    parseState(value: unknown): S;
    withState(model: M | null, state: S, localNow: number, restarted: boolean): M;
    withEvents(model: M, batch: readonly SseEvent[]): EventsOutcome<M>;
    // Events that come all the time, whatever happens.
    readonly routineEvents?: readonly string[];
    readonly Content: ComponentType<{ model: M }>;
}

export function loadState<S>(
    api: URL,
    parseState: (value: unknown) => S,
    token: string,
    signal: AbortSignal,
): Promise<S> {
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

export function openObserver<S extends ServerState, M>(
    page: ObserverPage<S, M>,
    token: string,
    events: PageEvents,
): OpenPage {
    const { api } = page;
    const model = createStore<M | null>(null);
    const status = createStore<ConnectionStatus>({
        phase: 'connecting',
        lastContactAt: null,
        stateAt: null,
        nextAttemptAt: null,
        trouble: null,
    });
    const session = new LiveSession<S>({
        loadState: (signal) => loadState(api, page.parseState, token, signal),
        followEvents: (lastEventId, handlers, signal) =>
            readEventStream(new URL('events', api), token, lastEventId, handlers, signal),
        onState: (state, { restarted }) => {
            model.set(page.withState(model.get(), state, Date.now(), restarted));
            if (restarted) {
                announce('The server was restarted.');
            }
        },
        onEvents: (batch) => {
            const current = model.get();
            if (current === null) {
                return;
            }
            const outcome = page.withEvents(current, batch);
            model.set(outcome.model);
            if (outcome.needsReload || outcome.wantsRefresh) {
                session.refreshSoon(outcome.needsReload ? 0 : 1000);
            }
        },
        onStatus: (next) => status.set(next),
        onUnauthorized: events.onUnauthorized,
        routineEvents: page.routineEvents ?? [],
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
        Content: () => <Following page={page} model={model} status={status} />,
        retryNow: () => session.retryNow(),
        close: () => {
            document.removeEventListener('visibilitychange', wake);
            removeEventListener('online', wake);
            session.stop();
        },
    };
}

function Following<S extends ServerState, M>(props: {
    page: ObserverPage<S, M>;
    model: Store<M | null>;
    status: Store<ConnectionStatus>;
}) {
    const { page } = props;
    const model = useStore(props.model);
    const status = useStore(props.status);
    if (model === null) {
        return <Opening title={page.title} status={status} />;
    }
    return <page.Content model={model} />;
}

function Opening({ title, status }: { title: string; status: ConnectionStatus }) {
    return (
        <div class="page page-opening" role="status">
            <h1 class="visually-hidden">{title}</h1>
            <p>{status.trouble === null ? 'Loading the state…' : status.trouble.message}</p>
            {status.trouble !== null && <p class="soft">The console keeps trying.</p>}
        </div>
    );
}
