// Sockets that say no hello are not kept; those that did are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerAdmin, Peer } from '../../support/broker_peer.mjs';
import { metricsText } from '../../support/broker_scene.mjs';
import { Server } from '../../support/server.mjs';

const kToken = 'a-token-for-the-silent';

test('a socket without hello is closed after ten seconds', async () => {
    const server = await Server.start({
        services: ['broker'],
        env: { BROKER_ADMIN_TOKEN: kToken },
    });
    try {
        const admin = new BrokerAdmin(server.url, kToken);
        const ada = await admin.member(await admin.createMesh(), 'ada');
        const began = Date.now();
        const silent = new Peer(server.url, ada);
        await silent.opened;
        const greeted = await Peer.connect(server.url, ada);
        assert.deepEqual(await silent.closed, { code: 1008, reason: 'no_hello' });
        assert.ok(Date.now() - began >= 9_000, 'not at once');
        const { peers } = await greeted.request({ type: 'list_peers' });
        assert.equal(peers.length, 1);
        assert.match(
            await metricsText({ server }),
            /^broker_connections_rejected_total\{reason="no_hello"\} 1$/m,
        );
        await greeted.close();
    } finally {
        await server.finish();
    }
});
