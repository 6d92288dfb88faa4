// What the page knows, and how a state or a batch of events changes it. Pure: no clock, no network.
//
// The server's state is the truth; a tick carries it one second forward. Ticks are numbered, so that
// one that belongs before the state is left out, and a gap is noticed and asks for the state again.
import type { EventsOutcome } from '../../console/observer_page.tsx';
import { type Feed, type FeedEntry, feedEntry, withEntries } from '../../live/feed.ts';
import { addToBucket, copyHistory, extendTo, setGauge } from '../../live/history.ts';
import type { SseEvent } from '../../live/sse_parser.ts';
import {
    type BrokerEvent,
    type BrokerState,
    type Figures,
    type MeshRow,
    type PeerRow,
    type Tick,
    parseEvent,
    parseTick,
} from './api.ts';

// Somewhat more than the server lists: who joins is shown until the next state.
const peersMax = 400;

export interface Model extends Feed<BrokerEvent> {
    readonly state: BrokerState;
    // Local clock minus server clock.
    readonly clockOffsetMs: number;
}

export function serverTime(model: Model, localNow: number): number {
    return localNow - model.clockOffsetMs;
}

export function withState(
    model: Model | null,
    state: BrokerState,
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
    if (!restarted) {
        return base;
    }
    const event: BrokerEvent = { ts: state.startedAt, type: 'restarted' };
    return withEntries(base, [feedEntry(state.bootId, 0, event)]);
}

// Events after which only a new state shows what is there.
const changesMeshes: ReadonlySet<string> = new Set(['mesh_created', 'mesh_archived', 'more']);

export function withEvents(model: Model, batch: readonly SseEvent[]): EventsOutcome<Model> {
    const entries: FeedEntry<BrokerEvent>[] = [];
    let { state } = model;
    let hasGap = false;
    for (const item of batch) {
        if (item.type === 'tick') {
            const tick = parseTick(item.data);
            if (tick !== null && tick.tick > state.tick) {
                hasGap ||= tick.tick > state.tick + 1;
                state = withTick(state, tick);
            }
            continue;
        }
        const isReset = item.type === 'reset';
        const event =
            parseEvent(item.type, item.data) ??
            (isReset ? { ts: model.state.now, type: 'reset' } : null);
        if (event !== null) {
            entries.push(feedEntry(state.bootId, isReset ? 0 : Number(item.id) || 0, event));
        }
    }
    return {
        model: withEntries({ ...model, state }, entries),
        needsReload: batch.some((item) => item.type === 'reset'),
        wantsRefresh: hasGap || entries.some((entry) => changesMeshes.has(entry.type)),
    };
}

function withTick(state: BrokerState, tick: Tick): BrokerState {
    const meshes = new Map(tick.meshes.map((mesh) => [mesh.id, mesh]));
    return {
        ...state,
        now: tick.ts,
        tick: tick.tick,
        figures: tick.figures,
        meshes: state.meshes.map((mesh): MeshRow => meshes.get(mesh.id) ?? mesh),
        peers: withPeers(state.peers, tick),
        history: withFigures(state, tick),
    };
}

function withPeers(peers: readonly PeerRow[], tick: Tick): readonly PeerRow[] {
    if (tick.peers.length === 0 && tick.gone.length === 0) {
        return peers;
    }
    const changed = new Map(tick.peers.map((peer) => [peer.id, peer]));
    const gone = new Set(tick.gone);
    const kept = peers.flatMap((peer) => {
        const now = changed.get(peer.id) ?? peer;
        changed.delete(peer.id);
        return gone.has(peer.id) ? [] : [now];
    });
    return [...kept, ...changed.values()].slice(0, peersMax);
}

const counted = ['pushed', 'settled', 'redelivered'] as const;

function total(counts: Readonly<Record<string, number>>): number {
    return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

function withFigures(state: BrokerState, tick: Tick): BrokerState['history'] {
    const before: Figures = state.figures;
    const now = tick.figures;
    const history = copyHistory(state.history);
    extendTo(history, tick.ts);
    for (const name of counted) {
        addToBucket(history, name, tick.ts, Math.max(0, now[name] - before[name]));
    }
    for (const name of ['rejected', 'refused'] as const) {
        addToBucket(history, name, tick.ts, Math.max(0, total(now[name]) - total(before[name])));
    }
    setGauge(history, 'queueDepth', now.queueDepth);
    setGauge(history, 'connected', now.connected);
    return history;
}
