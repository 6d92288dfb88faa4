import { describe, expect, it } from 'vitest';
import type { SseEvent } from '../../live/sse_parser.ts';
import { serverTime, withEvents, withState } from './model.ts';
import { rawFigures, rawMesh, rawPeer, sampleNow, sampleState, tickData } from './sample_state.ts';

const start = () => withState(null, sampleState(), sampleNow + 500, false);

function tick(change: Record<string, unknown> = {}): SseEvent {
    // A tick bears the id of the event before it: it has none of its own.
    return { type: 'tick', id: '40', data: tickData(change) };
}

function event(id: number, type: string, fields: Record<string, unknown> = {}): SseEvent {
    return { type, id: String(id), data: JSON.stringify({ ts: sampleNow, type, ...fields }) };
}

describe('a tick', () => {
    it('carries figures, peers and meshes forward', () => {
        const { model, needsReload, wantsRefresh } = withEvents(start(), [
            tick({
                figures: { ...rawFigures, connected: 2, pushed: 25, queueDepth: 4 },
                peers: [
                    { ...rawPeer, status: 'dnd' },
                    { ...rawPeer, id: 'p2', name: 'bob' },
                ],
                meshes: [{ ...rawMesh, connected: 2 }],
            }),
        ]);
        expect([needsReload, wantsRefresh]).toEqual([false, false]);
        expect(model.state.figures.connected).toBe(2);
        expect(model.state.peers.map((peer) => [peer.name, peer.status])).toEqual([
            ['ada', 'dnd'],
            ['bob', 'idle'],
        ]);
        expect(model.state.meshes[0]?.connected).toBe(2);
        expect(model.state.history.series.pushed.at(-1)).toBe(5);
        expect(model.state.history.series.queueDepth.at(-1)).toBe(4);
        expect(model.feed).toEqual([]);
    });

    it('takes peers away that are gone', () => {
        const { model } = withEvents(start(), [tick({ gone: ['p1'] })]);
        expect(model.state.peers).toEqual([]);
    });

    it('counts nothing twice: one that the state contains is left out', () => {
        const late = tick({ tick: 7, figures: { ...rawFigures, pushed: 99 }, gone: ['p1'] });
        const { model } = withEvents(start(), [late]);
        expect(model.state).toEqual(start().state);
    });

    it('asks for the state after a gap, and goes on meanwhile', () => {
        const { model, wantsRefresh } = withEvents(start(), [
            tick({ tick: 10, figures: { ...rawFigures, pushed: 21 } }),
        ]);
        expect(wantsRefresh).toBe(true);
        expect(model.state.tick).toBe(10);
        expect(model.state.figures.pushed).toBe(21);
    });

    it('that cannot be read changes nothing', () => {
        const { model } = withEvents(start(), [{ type: 'tick', id: '', data: '[1' }]);
        expect(model.state).toEqual(start().state);
    });

    it('never lets the list of peers grow without end', () => {
        const many = Array.from({ length: 1000 }, (_, n) => ({ ...rawPeer, id: `q${n}` }));
        const { model } = withEvents(start(), [tick({ peers: many })]);
        expect(model.state.peers.length).toBe(400);
    });
});

describe('events', () => {
    it('stand in the feed once, newest first', () => {
        const joined = event(41, 'peer_joined', { name: 'bob', mesh: 'team', key: 'aa' });
        const left = event(42, 'peer_left', { name: 'bob', mesh: 'team', key: 'aa' });
        const once = withEvents(start(), [joined, left]).model;
        const twice = withEvents(once, [joined]).model;
        expect(twice.feed.map((entry) => entry.type)).toEqual(['peer_left', 'peer_joined']);
        expect(twice.feedTotal).toBe(2);
    });

    it('a new mesh asks for the state, a peer does not', () => {
        expect(withEvents(start(), [event(41, 'mesh_created')]).wantsRefresh).toBe(true);
        expect(withEvents(start(), [event(41, 'peer_joined')]).wantsRefresh).toBe(false);
    });

    it('a reset asks for the state at once and is marked', () => {
        const reset = { type: 'reset', id: '90', data: '{"lastId":90}' };
        const { model, needsReload } = withEvents(start(), [reset]);
        expect(needsReload).toBe(true);
        expect(model.feed[0]?.type).toBe('reset');
    });
});

it('a restart is marked in the feed, which stays', () => {
    const before = withEvents(start(), [event(41, 'peer_joined')]).model;
    const fresh = sampleState({ bootId: 'next', startedAt: sampleNow + 9000, peers: [] });
    const after = withState(before, fresh, sampleNow + 9000, true);
    expect(after.feed.map((entry) => entry.type)).toEqual(['restarted', 'peer_joined']);
    expect(after.state.peers).toEqual([]);
});

it('knows the time of the server', () => {
    expect(serverTime(start(), sampleNow + 1500)).toBe(sampleNow + 1000);
});
