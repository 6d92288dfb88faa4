import { expect, it } from 'vitest';
import { UnexpectedAnswer } from '../../live/wire.ts';
import { parseEvent, parseState, parseTick, rejections } from './api.ts';
import { sampleState } from './sample_state.ts';

it('takes only the state of a broker', () => {
    for (const value of [null, [], {}, { service: 'prekeys', bootId: 'x' }, { service: 'broker' }]) {
        expect(() => parseState(value)).toThrow(UnexpectedAnswer);
    }
});

it('fills in what an older server leaves out', () => {
    const state = parseState({ service: 'broker', bootId: 'x', peers: [{}], meshes: 'none' });
    expect(state.peers[0]).toMatchObject({ name: 'unnamed', status: 'idle', groups: [] });
    expect(state.meshes).toEqual([]);
    expect(Object.keys(state.figures.rejected)).toEqual([...rejections]);
    expect(state.history.series.pushed).toEqual([]);
});

it('shows reasons it does not know', () => {
    const state = sampleState({ figures: { rejected: { brand_new: 4 } } });
    expect(state.figures.rejected).toMatchObject({ rate_limit: 0, brand_new: 4 });
});

it('reads events, and keeps only members it knows', () => {
    const data = JSON.stringify({ ts: 5, type: 'peer_joined', name: 'ada', key: 7, secret: 'x' });
    expect(parseEvent('peer_joined', data)).toEqual({ ts: 5, type: 'peer_joined', name: 'ada' });
    for (const broken of ['', '{', '[]', '"x"', '{"ts":"soon"}']) {
        expect(parseEvent('peer_joined', broken)).toBeNull();
        expect(parseTick(broken)).toBeNull();
    }
});
