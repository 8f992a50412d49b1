// The planes to click through: niivue draws, this asks the page what it wants to see and says what lies at the cursor.
(async () => {
  const root = document.querySelector('.planes');
  const part = name => root.querySelector(`[data-part="${name}"]`);
  const giveUp = sentence => {
    part('viewer').hidden = true;
    part('none').textContent = sentence;
    part('none').hidden = false;
  };
  root.hidden = false;
  if (!document.createElement('canvas').getContext('webgl2') || !window.DecompressionStream) {
    return giveUp('This browser lacks WebGL 2 or DecompressionStream, so there are no planes to click through here.');
  }

  const data = JSON.parse(document.getElementById('planes-data').textContent);
  const number = value => Number(value.toPrecision(3)).toString().replace(/-/g, '\u2212');

  // Numbers in the page: see packing.py.
  const bytes = async text => {
    const stream = new Blob([Uint8Array.from(atob(text), one => one.charCodeAt(0))]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  };
  const types = {uint8: Uint8Array, uint16: Uint16Array, int16: Int16Array};
  const voxels = async volume => {
    const values = new types[volume.type](await bytes(volume.data));
    for (let n = 1; n < values.length; n++) values[n] += values[n - 1];
    return values;
  };
  const through = (m, [x, y, z]) => [0, 4, 8].map(row => m[row] * x + m[row + 1] * y + m[row + 2] * z + m[row + 3]);

  // The value at a place between voxels, trilinear (order 1) or nearest (0), and 0 beyond the volume: as SciPy has it.
  const sampler = (volume, values) => {
    const [width, height, depth] = volume.shape;
    const voxel = (i, j, k) =>
      i < 0 || j < 0 || k < 0 || i >= width || j >= height || k >= depth ? 0 : values[i + width * (j + height * k)];
    if (!volume.order) return (x, y, z) => voxel(Math.floor(x + 0.5), Math.floor(y + 0.5), Math.floor(z + 0.5));
    return (x, y, z) => {
      const i = Math.floor(x), j = Math.floor(y), k = Math.floor(z), u = x - i, v = y - j, w = z - k;
      const line = (j, k) => (1 - u) * voxel(i, j, k) + u * voxel(i + 1, j, k);
      const sheet = k => (1 - v) * line(j, k) + v * line(j + 1, k);
      return volume.size * ((1 - w) * sheet(k) + w * sheet(k + 1));
    };
  };

  const {grid, scan, labels, maps} = data;
  // A volume on the viewer's grid, where `wanted` is not 0.
  const onGrid = (volume, value, wanted, found) => {
    const m = volume.to_voxel, [width, height, depth] = grid.shape, [dx, dy, dz] = [0, 4, 8].map(row => m[row] * grid.spacing);
    for (let k = 0, n = 0; k < depth; k++) {
      for (let j = 0; j < height; j++) {
        const [x, y, z] = through(m, [grid.low[0], grid.low[1] + j * grid.spacing, grid.low[2] + k * grid.spacing]);
        for (let i = 0; i < width; i++, n++) if (!wanted || wanted[n]) found[n] = value(x + i * dx, y + i * dy, z + i * dz);
      }
    }
    return found;
  };
  const size = grid.shape[0] * grid.shape[1] * grid.shape[2];
  const inLabels = sampler(labels, await voxels(labels)), brain = onGrid(labels, inLabels, null, new Uint16Array(size));
  const labelAt = place => inLabels(...through(labels.to_voxel, place));
  const samplers = new Map(); // by key, made when they are asked for
  const samplerOf = async map => {
    if (!samplers.has(map.key)) samplers.set(map.key, sampler(map, await voxels(map)));
    return samplers.get(map.key);
  };
  const nifti = async (header, values) => new Blob([await bytes(header), values]).arrayBuffer();

  // niivue
  const script = document.createElement('script');
  script.src = URL.createObjectURL(new Blob([await bytes(data.niivue)], {type: 'text/javascript'}));
  await new Promise((done, failed) => Object.assign(script, {onload: done, onerror: failed}) && document.head.append(script));
  const {Niivue, SHOW_RENDER, DRAG_MODE} = window.niivue;
  const nv = new Niivue({
    isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: SHOW_RENDER.NEVER, isSliceMM: true,
    dragMode: DRAG_MODE.none, dragAndDropEnabled: false, scrollRequiresFocus: true, loadingText: '', logLevel: 'error',
    viewModeHotKey: '', clipPlaneHotKey: '', cycleClipPlaneHotKey: '',
    backColor: [0.043, 0.047, 0.059, 1], crosshairColor: [0.24, 0.86, 0.82, 1], fontColor: [0.8, 0.84, 0.9, 1],
    crosshairWidth: 0.8, crosshairWidthUnit: 'mm', crosshairGap: 8, tileMargin: 6,
    doubleTouchTimeout: 0, longTouchTimeout: 1e9, // a finger moves the cursor, nothing else
  });
  for (const [name, colours] of Object.entries(data.colours)) {
    const [R, G, B] = [0, 1, 2].map(channel => colours.map(colour => colour[channel]));
    nv.addColormap(name, {R, G, B, A: R.map((_, n) => n ? 255 : 0), I: R.map((_, n) => n)});
  }

  // Where the cursor is, and what lies there.
  const shown = {map: maps[0], value: null};
  let cursor = data.start;
  const shareOf = size => {
    const {tops} = shown.map, next = tops.findIndex(top => top <= size);
    if (next < 0) return 100;
    if (next === 0) return data.shares[0];
    const part = (tops[next - 1] - size) / (tops[next - 1] - tops[next] || 1);
    return data.shares[next - 1] + part * (data.shares[next] - data.shares[next - 1]);
  };
  const tell = () => {
    const voxel = through(scan.to_voxel, cursor).map(one => Math.round(one));
    const place = through(scan.affine, voxel); // the centre of the scan's voxel: what files have a value for
    const label = labelAt(place);
    const letters = ['RL', 'AP', 'SI'].map((pair, axis) => `${pair[cursor[axis] < 0 ? 1 : 0]} ${Math.abs(cursor[axis]).toFixed(0)}`);
    const words = [`${letters.join(', ')} mm`, `voxel ${voxel.join(', ')}`, labels.names[label]];
    const said = part('place');
    said.dataset.voxel = voxel.join(' ');
    said.dataset.mm = cursor.map(one => one.toFixed(2)).join(' ');
    said.dataset.value = label ? shown.value(place) : '';
    if (label) {
      const {map, value} = shown, found = value(place);
      if (map.names.length) words.push(`${map.title}: ${map.names[found]}`);
      else words.push(`${map.title}: ${number(found)} ${map.units}, top ${number(shareOf(Math.abs(found)))} % of the brain`);
    }
    said.textContent = words.join(' \u00b7 ');
  };
  nv.onLocationChange = found => {
    cursor = Array.from(found.mm).slice(0, 3);
    if (shown.value) tell();
  };
  const goTo = place => {
    cursor = place.map((one, axis) => Math.min(Math.max(one, grid.low[axis]), grid.low[axis] + grid.spacing * (grid.shape[axis] - 1)));
    nv.scene.crosshairPos = nv.mm2frac(cursor);
    nv.drawScene();
    tell();
  };

  // What is shown.
  const redraw = () => {
    const overlay = nv.volumes[1], least = Number(part('threshold').value) / shown.map.limit;
    Object.assign(overlay, {
      colormap: shown.map.signed ? `${shown.map.colours}+` : shown.map.colours,
      colormapNegative: shown.map.signed ? `${shown.map.colours}-` : '',
      colormapType: 2, // colours from 0 on, nothing below the threshold
      cal_min: least, cal_max: Math.max(1, 1.001 * least), opacity: Number(part('opacity').value) / 100,
    });
    nv.updateGLVolume();
  };
  const setThreshold = size => {
    part('threshold').value = Number(size.toPrecision(3));
    const share = shareOf(size);
    part('share').value = data.shares.findIndex(one => one >= 0.999 * share);
    tellShare(share);
    redraw();
  };
  const tellShare = share => {
    part('share-said').textContent = `top ${number(share)} %`;
    part('share').setAttribute('aria-valuetext', `top ${number(share)} % of the brain`);
  };
  const show = async key => {
    const map = maps.find(one => one.key === key), sample = await samplerOf(map);
    Object.assign(shown, {map, value: place => sample(...through(map.to_voxel, place))});
    part('map').value = key;
    const values = onGrid(map, sample, brain, new Float32Array(size));
    nv.volumes[1].img.set(values.map(one => one / map.limit)); // colours end at 1: niivue has no smaller range than 0.00001
    for (const name of ['share', 'threshold']) part(name).disabled = map.names.length > 0;
    part('units').textContent = map.units;
    const ends = map.names.length ? [map.names[1], '', map.names.at(-1)]
      : map.signed ? [number(-map.limit), '0', number(map.limit)] : ['0', '', number(map.limit)];
    const bar = map.signed ? [...data.colours[`${map.colours}-`]].reverse().concat(data.colours[`${map.colours}+`]) : data.colours[map.colours];
    part('bar').style.background = `linear-gradient(to right, ${bar.filter((_, n) => n % 8 === 7).map(one => `rgb(${one})`)})`;
    ['low', 'middle', 'high'].forEach((name, n) => part(name).textContent = ends[n]);
    part('about').textContent = map.about;
    part('threshold').step = Number((map.limit / 50).toPrecision(1));
    setThreshold(map.threshold);
    tell();
    part('map').dataset.shown = key;
  };

  const canvas = root.querySelector('canvas');
  const keys = {ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1]};
  canvas.addEventListener('keydown', event => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // niivue has other ideas about these keys
    const far = (event.shiftKey ? 10 : 1) * grid.spacing;
    goTo(cursor.map((one, axis) => one + far * keys[event.key][axis]));
  });
  await nv.attachToCanvas(canvas);
  canvas.setAttribute('tabindex', '0');
  await nv.loadFromArrayBuffer(await nifti(grid.headers.uint8, await voxels(grid.scan)), 'scan.nii');
  await nv.loadFromArrayBuffer(await nifti(grid.headers.float32, new Float32Array(size)), 'map.nii');
  nv.setSliceType(nv.sliceTypeMultiplanar);

  for (const map of maps) part('map').add(new Option(map.note ? `${map.title} (${map.note})` : map.title, map.key));
  part('share').max = data.shares.length - 1;
  part('map').addEventListener('change', event => show(event.target.value));
  part('share').addEventListener('input', event => {
    part('threshold').value = Number(shown.map.tops[event.target.value].toPrecision(6));
    tellShare(data.shares[event.target.value]);
    redraw();
  });
  part('threshold').addEventListener('change', event => setThreshold(Math.abs(Number(event.target.value)) || 0));
  part('opacity').addEventListener('input', redraw);

  // A click on a row with a peak goes there.
  for (const row of document.querySelectorAll('[data-peak]')) {
    const button = document.createElement('button');
    button.className = 'peak';
    button.title = 'Show its peak in the planes';
    button.append(...row.cells[0].childNodes);
    row.cells[0].append(button);
    row.addEventListener('click', async () => {
      if (row.dataset.map && row.dataset.map !== shown.map.key) await show(row.dataset.map);
      goTo(row.dataset.peak.split(' ').map(Number));
      root.scrollIntoView({block: 'start'});
      canvas.focus({preventScroll: true});
    });
  }
  await show(maps[0].key);
  goTo(data.start);
  root.dataset.ready = 'yes';
})().catch(error => {
  console.error(error);
  const root = document.querySelector('.planes');
  root.querySelector('[data-part="viewer"]').hidden = true;
  Object.assign(root.querySelector('[data-part="none"]'), {textContent: `The planes could not be drawn: ${error.message}.`, hidden: false});
});
