// The meshes: how full they are, and what waits in them.
import { useState } from 'preact/hooks';
import { useNow } from '../../console/clock.ts';
import { ageInWords, formatCount, formatFullTime, plural } from '../../ui/format.ts';
import { Section } from '../../ui/panel.tsx';
import type { MeshRow } from './api.ts';
import { type Model, serverTime } from './model.ts';

const rowsAtFirst = 10;

export function MeshesSection({ model }: { model: Model }) {
    const { meshes, figures } = model.state;
    const [all, setAll] = useState(false);
    const shown = all ? meshes : meshes.slice(0, rowsAtFirst);
    const now = serverTime(model, useNow());
    return (
        <Section
            id="meshes"
            title="Meshes"
            lead={
                figures.meshes > meshes.length
                    ? `${formatCount(meshes.length)} of ${formatCount(figures.meshes)}, those in use first.`
                    : 'Those in use first. Archived ones are left out.'
            }
        >
            <div class="panel span-full">
                {meshes.length === 0 ? (
                    <p class="empty">There is no mesh.</p>
                ) : (
                    <table class="rows-table" data-testid="meshes">
                        <caption class="visually-hidden">Meshes</caption>
                        <thead>
                            <tr>
                                <th scope="col">Mesh</th>
                                <th scope="col">Connected</th>
                                <th scope="col">Away</th>
                                <th scope="col">Waiting</th>
                                <th scope="col">Oldest</th>
                            </tr>
                        </thead>
                        <tbody>
                            {shown.map((mesh) => (
                                <MeshLine key={mesh.id} mesh={mesh} now={now} />
                            ))}
                        </tbody>
                    </table>
                )}
                {meshes.length > rowsAtFirst && (
                    <button
                        type="button"
                        class="button"
                        aria-expanded={all}
                        onClick={() => setAll(!all)}
                    >
                        {all ? 'Show fewer' : `Show all ${plural(meshes.length, 'mesh', 'meshes')}`}
                    </button>
                )}
            </div>
        </Section>
    );
}

function MeshLine({ mesh, now }: { mesh: MeshRow; now: number }) {
    const share = Math.min(1, mesh.connected / Math.max(1, mesh.capacity));
    return (
        <tr data-mesh={mesh.slug}>
            <th scope="row">
                <span class="peer-name">{mesh.name}</span>
                <span class="peer-detail">{mesh.slug}</span>
            </th>
            <td data-label="Connected">
                <span class="level" data-tone={share >= 0.9 ? 'notice' : 'good'}>
                    <span class="level-value">{formatCount(mesh.connected)}</span>
                    <span class="level-track" aria-hidden="true">
                        <span style={{ width: `${100 * share}%` }} />
                    </span>
                    <span class="level-word">of {formatCount(mesh.capacity)}</span>
                </span>
            </td>
            <td data-label="Away">{formatCount(mesh.leased)}</td>
            <td data-label="Waiting">{formatCount(mesh.queued)}</td>
            <td
                data-label="Oldest"
                title={mesh.oldestAt === null ? undefined : formatFullTime(mesh.oldestAt)}
            >
                {mesh.oldestAt === null ? (
                    <span class="soft">–</span>
                ) : (
                    ageInWords(Math.max(0, now - mesh.oldestAt))
                )}
            </td>
        </tr>
    );
}
