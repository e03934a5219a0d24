{#- dom0: for each client its switches, and the tags by which policy knows it. -#}
{% from 'splitvault/map.jinja' import splitvault with context %}
{% if grains['nodename'] == 'dom0' %}
{% for qube, services in splitvault.clients.items() %}
splitvault-{{ qube }}-tags:
  qvm.tags:
    - name: {{ qube }}
    - add:
{%- for service in services %}
      - splitvault-{{ service }}
{%- endfor %}

splitvault-{{ qube }}-services:
  qvm.service:
    - name: {{ qube }}
    - enable:
{%- for service in services %}
      - splitvault-{{ service }}
{%- endfor %}
{% endfor %}
{% endif %}
