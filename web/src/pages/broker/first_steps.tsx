// Shown until there is a mesh: the commands that make one and let somebody in.
import { CopyLine } from '../../ui/copy_line.tsx';

export function FirstSteps({ service }: { service: URL }) {
    const socket = new URL('ws', service);
    socket.protocol = service.protocol === 'https:' ? 'wss:' : 'ws:';
    return (
        <section class="first-steps" aria-labelledby="first-steps-title" data-testid="first-steps">
            <h2 id="first-steps-title">No mesh yet</h2>
            <p>
                The broker is ready. A mesh is made on the server, where its database is; who has an
                invite joins by itself and appears here at once.
            </p>
            <ol>
                <li>
                    <p>Make a mesh. The name is for people; its short form names the mesh below.</p>
                    <CopyLine command="nave broker mesh create team" label="Make a mesh" />
                </li>
                <li>
                    <p>
                        Make an invite. The link it prints holds the key of the mesh: hand it over
                        as you would a password.
                    </p>
                    <CopyLine
                        command={`nave broker invite create team --uses 5 --hours 24 --url ${socket.href}`}
                        label="Make an invite"
                    />
                </li>
                <li>
                    <p>
                        Join with the link from a client of the mesh, and see it under{' '}
                        <a href="#peers">Peers</a>.
                    </p>
                </li>
            </ol>
        </section>
    );
}
