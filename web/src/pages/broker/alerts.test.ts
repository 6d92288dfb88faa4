import { expect, it } from 'vitest';
import { alertsOf } from './alerts.ts';
import { withState } from './model.ts';
import { rawFigures, rawMesh, rawPeer, sampleNow, sampleState, stepMs } from './sample_state.ts';

function alerts(change: Record<string, unknown> = {}) {
    const model = withState(null, sampleState(change), sampleNow, false);
    return alertsOf(model, sampleNow).map((alert) => [alert.severity, alert.id]);
}

const figures = (change: Record<string, unknown>) => ({ figures: { ...rawFigures, ...change } });

it.each<[string, Record<string, unknown>, string[][]]>([
    ['all is well', {}, []],
    [
        'a failing database',
        figures({ storage: { kind: 'sqlite', healthy: false, trouble: 'disk full' } }),
        [['critical', 'storage']],
    ],
    ['a key over its limit', figures({ overLimit: 1 }), [['warning', 'over-limit']]],
    ['few sends for the database', figures({ storing: 4096 }), []],
    ['many sends for the database', figures({ storing: 4097 }), [['warning', 'storing']]],
    ['an envelope of today', figures({ oldestAt: sampleNow - 86_400_000 }), []],
    [
        'an envelope of yesterday',
        figures({ oldestAt: sampleNow - 86_400_001 }),
        [['notice', 'old']],
    ],
    ['a slow peer', { peers: [{ ...rawPeer, slow: true }] }, [['warning', 'slow']]],
    ['a mesh with room', { meshes: [{ ...rawMesh, connected: 89 }] }, []],
    ['a mesh nearly full', { meshes: [{ ...rawMesh, connected: 90 }] }, [['warning', 'capacity']]],
    [
        'the worst first',
        {
            ...figures({ oldestAt: 1, storage: { kind: 'sqlite', healthy: false } }),
            peers: [{ ...rawPeer, slow: true }],
        },
        [
            ['critical', 'storage'],
            ['warning', 'slow'],
            ['notice', 'old'],
        ],
    ],
])('%s', (_name, change, expected) => {
    expect(alerts(change)).toEqual(expected);
});

it('speaks of rejections when they are many, and many of what is sent', () => {
    const history = (pushed: number, rejected: number) => ({
        history: { stepMs, end: sampleNow + stepMs, pushed: [pushed], rejected: [rejected] },
    });
    expect(alerts(history(0, 19))).toEqual([]);
    expect(alerts(history(0, 20))).toEqual([['notice', 'rejected']]);
    expect(alerts(history(1000, 20))).toEqual([]);
});
