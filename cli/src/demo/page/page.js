// Everybody's screens side by side. Each frame holds a node's own screens; this page only switches signal and battery.

const words = {
  en: {
    signal: ['no signal', 'signal'], battery: ['no power', 'power'], other: '中文',
    waiting: (count) => (count === 1 ? '1 record waits for signal, safe on this device' : `${count} records wait for signal, safe on this device`),
    all: 'all records are at the hub', office: 'has what has come in', dead: 'No power. What was recorded is on the disk.',
    trouble: 'The demo has ended. Start it again with: creel demo --screens',
  },
  zh: {
    signal: ['无信号', '有信号'], battery: ['断电', '有电'], other: 'English',
    waiting: (count) => `${count} 条记录等待信号，已安全保存在本机`,
    all: '所有记录已到总部', office: '显示已到达的记录', dead: '已断电。记录保存在磁盘上。',
    trouble: '演示已结束。请重新运行：creel demo --screens',
  },
};
/** How often it is looked how everybody is. */
const LOOK_MS = 700;

let language = navigator.language.startsWith('zh') ? 'zh' : 'en';
let cast = [];
const panels = new Map();
const done = new Set();

function text(element, said) {
  if (element.textContent !== said) element.textContent = said;
}

function panel(one) {
  const section = document.createElement('section');
  section.className = one.role;
  section.dataset.name = one.name;
  section.innerHTML = '<h2></h2><p class="said" role="status"></p><div class="switches"></div><iframe></iframe><div class="dead" hidden></div>';
  const [head, said, switches, frame, dead] = section.children;
  const buttons = ['signal', 'battery'].map((what) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('role', 'switch');
    button.addEventListener('click', () => flip(one.name, what));
    switches.append(button);
    return button;
  });
  document.querySelector('#cast').append(section);
  return { head, said, frame, dead, buttons, shown: null };
}

async function flip(name, what) {
  const one = cast.find((each) => each.name === name);
  const response = await fetch('switch', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name, [what]: !one[what] }),
  });
  const answer = await response.json();
  if (response.ok) show(answer);
  else trouble(answer.error);
}

function trouble(said) {
  const box = document.querySelector('#trouble');
  box.hidden = !said;
  text(box, said ?? '');
}

function show(now) {
  cast = now;
  const say = words[language];
  for (const one of cast) {
    if (!panels.has(one.name)) panels.set(one.name, panel(one));
    const its = panels.get(one.name);
    text(its.head, one.label[language]);
    its.frame.title = one.label[language];
    const known = one.role === 'hub' ? say.office : one.waiting > 0 ? say.waiting(one.waiting) : say.all;
    text(its.said, one.battery ? known : '');
    for (const [nth, what] of ['signal', 'battery'].entries()) {
      its.buttons[nth].setAttribute('aria-checked', String(one[what]));
      text(its.buttons[nth], say[what][Number(one[what])]);
      its.buttons[nth].setAttribute('aria-label', `${one.label[language]}: ${say[what][1]}`);
    }
    text(its.dead, say.dead);
    its.dead.hidden = one.battery;
    its.frame.hidden = !one.battery;
    // A node that has power again is opened anew, as a person does with a phone.
    if (one.battery !== its.shown) {
      its.shown = one.battery;
      if (one.battery) its.frame.src = `screens/${one.name}`;
      else its.frame.removeAttribute('src');
    }
  }
  guide();
}

/** Ticks off what was tried. */
function guide() {
  const driver = cast.find((one) => one.name === 'li-wei');
  if (!driver.signal) done.add('cut');
  if (done.has('cut') && !driver.signal && driver.waiting > 0) done.add('sign');
  if (done.has('sign') && !driver.battery) done.add('pulled');
  if (done.has('pulled') && driver.battery) done.add('battery');
  if (done.has('sign') && driver.signal && driver.waiting === 0) done.add('join');
  let next = true;
  for (const item of document.querySelectorAll('#try li')) {
    const is = done.has(item.dataset.step);
    item.classList.toggle('done', is);
    item.classList.toggle('now', !is && next);
    if (!is) next = false;
  }
}

function speak() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  for (const element of document.querySelectorAll('[data-en]')) text(element, element.dataset[language]);
  text(document.querySelector('#language'), words[language].other);
  if (cast.length > 0) show(cast);
}

document.querySelector('#language').addEventListener('click', () => {
  language = language === 'zh' ? 'en' : 'zh';
  speak();
});

async function look() {
  try {
    const response = await fetch('state');
    show(await response.json());
    trouble(null);
  } catch {
    trouble(words[language].trouble);
  }
  setTimeout(look, LOOK_MS);
}

speak();
look();
