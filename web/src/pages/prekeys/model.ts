// What the page knows, and how a state or a batch of events changes it. Pure: no clock, no network.
//
// The server's state is the truth; events only carry it forward until the next one arrives. An event
// that a state already contains (its id is not above the state's lastEventId) goes to the feed and
// changes no figure, so a replay after a reconnect never counts twice; events newer than a state that
// arrives late are applied to it again.
import type { EventsOutcome } from '../../console/observer_page.tsx';
import { type Feed, type FeedEntry, feedEntry, withEntries } from '../../live/feed.ts';
import {
    type MutableHistory,
    addToBucket,
    copyHistory,
    extendTo,
    setGauge,
} from '../../live/history.ts';
import type { SseEvent } from '../../live/sse_parser.ts';
import {
    type Counters,
    type KeyTransparency,
    type ObserverEvent,
    type ObserverState,
    type SeriesName,
    type Totals,
    parseEvent,
} from './api.ts';

export interface Model extends Feed<ObserverEvent> {
    readonly state: ObserverState;
    // Local clock minus server clock.
    readonly clockOffsetMs: number;
}

export function serverTime(model: Model, localNow: number): number {
    return localNow - model.clockOffsetMs;
}

export function withState(
    model: Model | null,
    state: ObserverState,
    localNow: number,
    restarted: boolean,
): Model {
    const base: Model = {
        state,
        clockOffsetMs: localNow - state.now,
        feed: model?.feed ?? [],
        feedTotal: model?.feedTotal ?? 0,
        lastSeen: model?.lastSeen ?? {},
    };
    if (restarted) {
        const event: ObserverEvent = { ts: state.startedAt, type: 'restarted' };
        return withEntries(base, [feedEntry(state.bootId, 0, event)]);
    }
    const missed = base.feed.filter(
        (item) => item.key.startsWith(state.bootId) && item.id > state.lastEventId,
    );
    return { ...base, state: carriedForward(state, missed.toReversed()) };
}

export function withEvents(model: Model, batch: readonly SseEvent[]): EventsOutcome<Model> {
    const entries: FeedEntry<ObserverEvent>[] = [];
    for (const item of batch) {
        const isReset = item.type === 'reset';
        const event = isReset ? resetEvent(model, item) : parseEvent(item.type, item.data);
        if (event !== null) {
            entries.push(feedEntry(model.state.bootId, isReset ? 0 : Number(item.id) || 0, event));
        }
    }
    const applicable = entries.filter((item) => item.id > model.state.lastEventId);
    const next = withEntries(model, entries);
    return {
        model:
            applicable.length === 0
                ? next
                : { ...next, state: carriedForward(next.state, applicable) },
        needsReload: batch.some((item) => item.type === 'reset'),
        wantsRefresh: applicable.length > 0,
    };
}

function resetEvent(model: Model, item: SseEvent): ObserverEvent {
    return parseEvent(item.type, item.data) ?? { ts: model.state.now, type: 'reset' };
}

// The state as it stands after these events, oldest first.
function carriedForward(state: ObserverState, entries: readonly FeedEntry<ObserverEvent>[]): ObserverState {
    if (entries.length === 0) {
        return state;
    }
    const draft: Draft = {
        counters: { ...state.counters, rateLimited: { ...state.counters.rateLimited } },
        totals: { ...state.totals },
        keyTransparency: state.keyTransparency === null ? null : { ...state.keyTransparency },
        history: copyHistory(state.history),
    };
    for (const { event } of entries) {
        apply(draft, event);
    }
    const lastEventId = Math.max(state.lastEventId, ...entries.map((item) => item.id));
    return { ...state, ...draft, lastEventId };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Draft {
    counters: Mutable<Counters> & { rateLimited: Record<string, number> };
    totals: Mutable<Totals>;
    keyTransparency: KeyTransparency | null;
    history: MutableHistory<SeriesName>;
}

function apply(draft: Draft, event: ObserverEvent): void {
    const { counters, history } = draft;
    extendTo(history, event.ts);
    switch (event.type) {
        case 'registered':
            counters.registered += 1;
            addToBucket(history, 'registrations', event.ts);
            break;
        case 'fetched':
            applyFetch(draft, event);
            break;
        case 'replenished':
            counters.replenished += 1;
            break;
        case 'signed_prekey_rotated':
        case 'identity_rotated':
            counters.rotated += 1;
            break;
        case 'deleted':
            counters.deleted += 1;
            break;
        case 'rate_limited': {
            const limit = event.limit ?? 'other';
            counters.rateLimited[limit] = (counters.rateLimited[limit] ?? 0) + 1;
            addToBucket(history, 'rateLimited', event.ts);
            break;
        }
        case 'replay_rejected':
            counters.replaysRejected += 1;
            break;
        case 'identity_conflict':
            counters.identityConflicts += 1;
            break;
        case 'depletion_suspected':
            counters.depletionSuspected += 1;
            break;
        case 'purged':
            counters.purged += event.count ?? 1;
            break;
        case 'kt_checkpoint':
            draft.keyTransparency = {
                treeSize: event.treeSize ?? draft.keyTransparency?.treeSize ?? 0,
                checkpointAt: event.ts,
                trouble: null,
            };
            break;
    }
}

function applyFetch({ counters, totals, history }: Draft, event: ObserverEvent): void {
    counters.fetched += 1;
    addToBucket(history, 'fetches', event.ts);
    if (event.oneTime === 'issued') {
        counters.issued += 1;
        addToBucket(history, 'issued', event.ts);
        totals.oneTimePreKeys = Math.max(0, totals.oneTimePreKeys - 1);
        setGauge(history, 'oneTimePreKeys', totals.oneTimePreKeys);
    } else if (event.oneTime === 'exhausted') {
        counters.exhausted += 1;
        addToBucket(history, 'exhausted', event.ts);
    } else if (event.oneTime === 'withheld') {
        counters.withheld += 1;
        addToBucket(history, 'withheld', event.ts);
    }
    if (event.kem === 'one_time') {
        totals.kemOneTimePreKeys = Math.max(0, totals.kemOneTimePreKeys - 1);
        setGauge(history, 'kemOneTimePreKeys', totals.kemOneTimePreKeys);
    }
}
