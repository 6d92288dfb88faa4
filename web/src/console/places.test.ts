import { expect, it } from 'vitest';
import { type Service, homeOf, placeOf } from './places.ts';

const origin = 'https://keys.example.org:8443';

it.each<[string, Service, string | null, string | null]>([
    ['/shade-observer/dashboard/', 'prekeys', '/', null],
    ['/observer/', 'broker', null, '/'],
    ['/observer/index.html', 'broker', null, '/'],
    ['/prekeys/shade-observer/dashboard/', 'prekeys', '/prekeys/', '/broker/'],
    ['/broker/observer/', 'broker', '/prekeys/', '/broker/'],
    ['/a/deep/prefix/broker/observer/', 'broker', '/a/deep/prefix/prekeys/', '/a/deep/prefix/broker/'],
    ['/a/deep/prefix/observer/', 'broker', null, '/a/deep/prefix/'],
])('%s', (path, home, prekeys, broker) => {
    const page = new URL(`${path}?x#/y`, origin);
    expect(homeOf(page)).toBe(home);
    expect(placeOf('prekeys', page)?.href ?? null).toBe(prekeys && origin + prekeys);
    expect(placeOf('broker', page)?.href ?? null).toBe(broker && origin + broker);
});
