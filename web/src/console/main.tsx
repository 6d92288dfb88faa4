import { render } from 'preact';
import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/shell.css';
import '../styles/components.css';
import '../styles/observer.css';
import '../styles/broker.css';
import { startClock } from './clock.ts';
import { startRouter } from './router.ts';
import { Shell } from './shell.tsx';
import { watchPalette } from './theme.ts';

const host = document.getElementById('console');
if (host) {
    startClock();
    startRouter();
    watchPalette();
    host.replaceChildren();
    render(<Shell />, host);
}
