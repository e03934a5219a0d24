{#- In templates: the package that was copied there. -#}
{% from 'splitvault/map.jinja' import splitvault with context %}
{% if grains['nodename'] != 'dom0' %}
splitvault-installed:
  cmd.run:
{% if grains['os_family'] == 'Debian' %}
    - name: apt-get install -y {{ splitvault.package }}
{% else %}
    - name: dnf install -y {{ splitvault.package }}
{% endif %}
    - unless: test -x /usr/bin/splitvault
{% endif %}
