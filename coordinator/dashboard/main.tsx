/** Begins the dashboard in the page that has loaded it. */
import { render } from 'preact';
import { App } from './app.tsx';

render(<App />, document.body);
