// A click on a column's heading sorts the table by that column, numbers as numbers.
for (const table of document.querySelectorAll('.sortable table')) {
  const body = table.tBodies[0];
  table.querySelectorAll('thead th').forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.textContent = '';
    head.append(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      table.querySelectorAll('thead th').forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const value = row => row.cells[column].textContent.trim();
      const number = text => parseFloat(text.replace(/−/g, '-').replace(/,/g, ''));
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const [m, n] = [number(x), number(y)];
        if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
        const order = isNaN(m) ? x.localeCompare(y) : m - n;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
}
// A click anywhere on a subject's row opens its page, as its link does.
for (const link of document.querySelectorAll('tbody td:first-child > a')) {
  const row = link.closest('tr');
  row.classList.add('opens');
  row.addEventListener('click', event => { if (!event.target.closest('a')) link.click(); });
}
